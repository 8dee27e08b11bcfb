// Package stack turns mirrored TCP segments back into the byte streams that
// the clients sent.
//
// Every mirrored connection is replayed against a gVisor TCP that plays the
// server, by a virtual client that obeys what gVisor's TCP tells it: it takes
// over the acknowledgement numbers, stays inside the advertised window and
// keeps every segment until it has been acknowledged, because nobody else will
// send it again. What comes out is a net.Listener whose connections read as
// the original client's bytes.
//
// The package opens no socket and sends nothing: what gVisor emits ends in the
// link endpoint of package netstack, and the virtual clients only learn from it.
package stack
