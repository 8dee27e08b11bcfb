// Package http1 says where the requests of an HTTP/1 connection begin.
//
// Start and Unmistakable judge the first bytes of a message. A Framer follows
// one direction of a connection and finds the end of each request by its
// Content-Length or its chunks (RFC 9112, section 6), so that no byte of a body
// is taken for a request.
//
// The package is pure: bytes in, places out. It opens nothing and never
// allocates. It keeps only a few bytes of a line that continues in the next
// call. It does not judge whether a request is valid. If servers disagree about
// where a request ends, it says that the place is not known.
package http1
