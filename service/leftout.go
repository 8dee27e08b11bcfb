package service

// LeftOut is why a service does not take a packet of its own.
type LeftOut uint8

const (
	NotSampled     LeftOut = iota // of a connection outside of the service's share
	ExcludedClient                // of a client that the service does not take
	// NumLeftOut is how many there are.
	NumLeftOut
)

// String is l as the log and the metrics have it.
func (l LeftOut) String() string {
	return [...]string{"not_sampled", "excluded_client", "unknown"}[min(l, NumLeftOut)]
}
