// Package netstack is the only one that imports gVisor, whose TCP it lets play the
// servers. Virtual clients deliver segments to it and get its answers; the connections
// that they open come out as endpoints.
package netstack
