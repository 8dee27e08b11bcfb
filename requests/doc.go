// Package requests alters the HTTP/1 requests of a client's byte stream on its way
// to the target: it adds header lines to them, or leaves some of them out.
//
// [New] makes Rules from the user's settings, and each stream has an Editor with these
// Rules. [Editor.Edit] reads bytes of the stream and returns what goes to the target in
// their place. [Editor.Taken] says how much of that the target took; the rest is edited
// again. An Editor finds requests by their framing (package http1) and judges only their
// heads. It changes nothing but the lines that it adds and the requests that it leaves
// out.
//
// The package opens nothing, logs nothing and starts no goroutine. It allocates nothing
// for a head that comes in one piece.
package requests
