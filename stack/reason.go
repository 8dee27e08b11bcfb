package stack

import "netmirror/outcome"

// Drop names why a mirrored packet did not become part of a stream.
type Drop = outcome.Drop

const (
	DropBadAddress  = outcome.DropBadAddress
	DropReverse     = outcome.DropReverse
	DropNoPayload   = outcome.DropNoPayload
	DropDuplicate   = outcome.DropDuplicate
	DropOutOfWindow = outcome.DropOutOfWindow
	DropMidStream   = outcome.DropMidStream
	DropFlowOver    = outcome.DropFlowOver
	DropTruncated   = outcome.DropTruncated
	DropBadChecksum = outcome.DropBadChecksum
	DropGap         = outcome.DropGap
	DropFlowBudget  = outcome.DropFlowBudget
	DropTotalBudget = outcome.DropTotalBudget
	DropFlowLimit   = outcome.DropFlowLimit
	DropTargetEnded = outcome.DropTargetEnded
	DropReplaced    = outcome.DropReplaced
	DropIdle        = outcome.DropIdle
	DropRejected    = outcome.DropRejected
	DropRefused     = outcome.DropRefused
	DropProbe       = outcome.DropProbe
	DropSubflow     = outcome.DropSubflow
	DropUnproven    = outcome.DropUnproven
	DropNotOpened   = outcome.DropNotOpened
	DropShutdown    = outcome.DropShutdown
	NumDrops        = outcome.NumDrops
)

// End is the error that a stream's Read returns where the client's bytes can
// not be followed any further: what was read so far is right, what comes next
// is not known.
type End = outcome.End

const (
	EndClientReset = outcome.EndClientReset
	EndServerReset = outcome.EndServerReset
	EndGap         = outcome.EndGap
	EndIdle        = outcome.EndIdle
	EndShed        = outcome.EndShed
	EndShutdown    = outcome.EndShutdown
	EndReplaced    = outcome.EndReplaced
	EndTarget      = outcome.EndTargetClosed
	EndNotOpened   = outcome.EndNotOpened
)
