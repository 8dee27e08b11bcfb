package outcome

import "net"

// Stream is one client's byte stream, from whoever rebuilds it to whoever plays it
// to a target. It is read by one goroutine at a time.
type Stream interface {
	// Read waits for the stream's next bytes. The error is io.EOF where the client's
	// FIN was, and an End for which Readable holds where the stream cannot be
	// continued; once closed, it is net.ErrClosed. An error that comes with bytes
	// comes again at the next Read. Every byte before the error is exactly what the
	// client sent.
	Read(p []byte) (int, error)

	// WaitReadable blocks until Read will not, so that an idle stream needs no
	// buffer. Its error, if any, is Read's too.
	WaitReadable() error

	// Unread gives back the end of what the last Read returned, all of it maybe,
	// which the target did not take: WaitReadable then returns at once and the next
	// Read returns p first. It copies p and waits for nothing. It must not be called
	// during a Read, nor after CloseWith.
	Unread(p []byte)

	// Split says that the target has sent its FIN: it will answer no further request.
	// The stream may then end with EndTargetClosed at a place from which on the bytes
	// are better played on a new connection. It may be called at any time before
	// CloseWith returns.
	Split()

	// CloseWith gives the stream up and says what became of it, once. A Read or
	// WaitReadable under way returns. At EndTargetClosed, what was given back and what
	// was never read may be played as another stream.
	CloseWith(e End)

	// RemoteAddr is the client's address.
	RemoteAddr() net.Addr
}
