package service

// LeftOut is why a service does not take a packet of its selection.
type LeftOut uint8

const (
	NotSampled     LeftOut = iota // its connection is not in the service's share
	ExcludedClient                // the service does not take its client
	// NumLeftOut is how many there are.
	NumLeftOut
)

// String is l as the log and the metrics have it.
func (l LeftOut) String() string {
	return [...]string{"not_sampled", "excluded_client", "unknown"}[min(l, NumLeftOut)]
}
