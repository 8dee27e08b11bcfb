package outcome

import "net"

// Taker takes bytes from where they are.
type Taker interface {
	// Take returns how many of the first bytes of p it has taken, or Copy. It must not keep p,
	// must not wait, and must not call methods of the Stream that p is from.
	Take(p []byte) int
}

// Copy says that a piece, and all behind it, is better copied.
const Copy = -1

// Stream is one client's byte stream. The stack rebuilds it, and the bridge plays it to a
// target. One goroutine at a time reads it, and none of the methods makes it wait.
type Stream interface {
	// TryRead returns the stream's next bytes; 0 and nil if there are none yet. The error
	// is io.EOF at the client's FIN, an End for which Readable holds if the stream cannot
	// be continued, and net.ErrClosed after CloseWith. Every byte before the error is
	// exactly what the client sent.
	//
	// An error can come with bytes; the next TryRead returns it again. With bytes, io.EOF
	// says that the client's FIN follows them. TryRead may then return 0 and nil until f
	// of OnReadable is called, and never returns io.EOF if the stream is given up first.
	TryRead(p []byte) (int, error)

	// TryPass is TryRead, but it offers the stream's next bytes to t before it copies any to p.
	// It returns how many t has taken, which cannot be given back, and how many are in p behind
	// them: none if t did not take all that it was offered. Some bytes are only ever copied.
	TryPass(p []byte, t Taker) (taken, n int, err error)

	// OnReadable registers f, which is called when TryRead returned nothing and may now
	// return something. The call may come from any goroutine with any locks held, so f
	// must not wait and must not call methods of the stream. Bytes that came before
	// OnReadable cause no call.
	OnReadable(f func())

	// Unread gives back bytes that the target did not take: p is the end of what the last
	// TryRead returned, or all of it. The next TryRead returns p first. Unread copies p and
	// waits for nothing. It must not be called after CloseWith. If CloseWith follows at
	// once with an end other than EndTargetClosed, p may be longer: the end of all that was
	// read.
	Unread(p []byte)

	// Split says that the target has sent its FIN, so it will answer no further request.
	// The stream may then end with EndTargetClosed where the next request begins, which
	// goes to a new connection.
	Split()

	// CloseWith ends the stream and says how it ended. It is called once. With
	// EndTargetClosed, bytes given back by Unread and bytes never read may be played as
	// another stream.
	CloseWith(e End)

	// RemoteAddr is the client's address, and LocalAddr that of the server that it
	// connected to.
	RemoteAddr() net.Addr
	LocalAddr() net.Addr
}
