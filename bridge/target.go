package bridge

// targetConn is a stream's connection to the shadow service. Only the loop's goroutine
// calls it. No method waits: stream.event is called when the connection is ready for
// something.
type targetConn interface {
	// write returns how many bytes of p were taken. err is nil if the rest found no
	// room; evRoom tells when there is some. last says that closeWrite follows soon: the
	// bytes may wait for it.
	write(p []byte, last bool) (n int, err error)
	// confirm makes a new connection known to the target at once. It is called if there is
	// nothing to write yet.
	confirm()
	// unacked is how many of the bytes written the peer has not acknowledged; a
	// half-close counts as one. It stands still when a reset has thrown them away.
	unacked() (int, error)
	// discard throws away what has been answered, or a part of it: more is true where
	// something may be left.
	discard() (n int, more bool, err error)
	// saidFIN reports whether the peer has sent its FIN by now, even if evFIN did not come.
	saidFIN() bool
	// over reports whether the connection has ended in both directions. cause is nil
	// where it ended in order, each side's end acknowledged.
	over() (over bool, cause error)
	// keepAlive switches TCP keep-alive on, for a connection that is idle.
	keepAlive()
	// closeWrite says that nothing more will be written.
	closeWrite() error
	// close ends the connection in order, as far as what was answered is discarded.
	close()
	// reset ends it at once; what is still queued is thrown away.
	reset()
}

// events are what a target is ready for.
type events uint8

const (
	evRoom   events = 1 << iota // write takes something, or fails; the connection is made
	evAnswer                    // there is something to discard
	evFIN                       // the peer will send no more
	evOver                      // over may say so
)
