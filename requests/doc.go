// Package requests alters the HTTP/1 requests of a client's byte stream on its way
// to the target: it adds header lines to them, or leaves some of them out.
//
// [New] makes Rules of what the user asked for; every stream has an Editor of them.
// An Editor is told what the stream holds and says what goes to the target in place of
// that, and then is told how much of it the target took: it goes back to there. It finds
// requests by their framing (package http1) and judges their heads alone. Every byte
// that is neither a line that it adds nor of a request that it leaves out stays as it is,
// in its place.
//
// The package opens nothing, logs nothing and starts no goroutine. Where a head comes
// whole, nothing is allocated for it.
package requests
