// Package netstack lets gVisor's TCP play the servers. Outside tests, no other package imports
// gVisor. Virtual clients deliver segments to it and get its answers; the connections that
// they open come out as endpoints.
package netstack
