// Package e2e drives the built netmirror binary in a lab: clients, the
// production service, netmirror and the shadow service each in a network
// namespace, with mirror traffic made by the kernel. It imports nothing of
// netmirror; what it knows of it is the command line, the log, the exit status
// and what the shadow service received.
//
// What a kernel does not send by itself, such as damage, strays and the habits of
// other stacks, is in the captures of package corpus, which TestCorpus plays
// over a wire.
//
// The tests build the binary; NETMIRROR_BIN names another one, and NETMIRROR_RACE=1 builds
// it with the race detector. Measurements are in benchmarks; NETMIRROR_HOSTILE=10s shortens
// the longest.
package e2e
