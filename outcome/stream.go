package outcome

import "net"

// Stream is one client's byte stream, from whoever rebuilds it to whoever plays it
// to a target. It is read by one goroutine at a time, which none of it keeps waiting.
type Stream interface {
	// TryRead returns the stream's next bytes; 0 and nil where there are none yet. The
	// error is io.EOF where the client's FIN was, and an End for which Readable holds
	// where the stream cannot be continued; once closed, it is net.ErrClosed. An error
	// that comes with bytes comes again at the next TryRead. Every byte before the error
	// is exactly what the client sent.
	TryRead(p []byte) (int, error)

	// OnReadable has f called when TryRead, after it had nothing, may have something:
	// from any goroutine, and with any locks held, so that f waits for nothing and calls
	// no method of the stream's. There is no call for what came before.
	OnReadable(f func())

	// Unread gives back the end of what the last TryRead returned, all of it maybe,
	// which the target did not take: the next TryRead returns p first. It copies p and
	// waits for nothing. It must not be called after CloseWith. Where CloseWith follows at
	// once, with another end than EndTargetClosed, p may be longer: the end of all that
	// was read.
	Unread(p []byte)

	// Split says that the target has sent its FIN: it will answer no further request.
	// The stream may then end with EndTargetClosed at a place from which on the bytes
	// are better played on a new connection.
	Split()

	// CloseWith gives the stream up and says what became of it, once. At EndTargetClosed, what was given back and what
	// was never read may be played as another stream.
	CloseWith(e End)

	// RemoteAddr is the client's address, and LocalAddr that of the server that it
	// connected to.
	RemoteAddr() net.Addr
	LocalAddr() net.Addr
}
