// Package stack turns mirrored TCP segments back into the byte streams that
// the clients sent.
//
// Every mirrored connection is replayed against a gVisor TCP that plays the
// server, by a virtual client that obeys what gVisor's TCP tells it: it takes
// over gVisor's acknowledgement numbers, stays inside the advertised window and
// keeps every segment until it has been acknowledged, because nobody else will
// send it again. TryAccept hands out the streams (outcome.Stream), which read as the
// client's bytes.
//
// The package opens no socket and sends nothing: what gVisor emits ends in a
// mailbox of package netstack, and the virtual clients only learn from it.
package stack
