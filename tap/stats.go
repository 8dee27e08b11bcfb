package tap

import "netmirror/source"

// Stats counts since Open: Packets are those that passed the filter
// (PACKET_STATISTICS, tp_packets), Drops found no room in the ring (tp_drops), Freezes
// is tp_freeze_q_cnt, and Cut frames have a tp_snaplen below their tp_len. Malformed
// frames lay outside their block, which only a fault of the kernel can cause. Waiting
// and Room are blocks.
type Stats = source.Stats

// SplitStats counts UDP datagrams that were captured several in one packet.
type SplitStats = source.SplitStats
