package stack

// flowList is a list of flows that takes constant time for each operation: the flows
// hold the links. A flow is in one list of each kind at most.
type flowList struct {
	kind        listKind
	first, last *flow
	n           int
}

// listKind says which of a flow's links a list uses.
type listKind uint8

const (
	ofTable      listKind = iota // all flows of a rank
	ofHost                       // those of one client address
	ofHandshakes                 // those that wait for room among the handshakes
	numListKinds
)

// links are a flow's neighbors in one list.
type links struct{ prev, next *flow }

// maxSkipped bounds the search of ready.
const maxSkipped = 16

// ready is the first flow that can end at once; nil where there is none near the front.
// One that gVisor is opening cannot: it would be left with half a connection.
func (l *flowList) ready() *flow {
	f := l.first
	for n := 0; f != nil && f.handshaking(); n++ {
		if n == maxSkipped {
			return nil
		}
		f = f.standing.in[l.kind].next
	}
	return f
}

// handshaking reports whether gVisor has begun to open the flow, or is about to, and has not
// handed it out.
func (f *flow) handshaking() bool {
	return f.state != parked && (f.virtual.id != 0 || f.dirty) && f.virtual.conn == nil
}

// push puts f at the end. It must be in no list of this kind.
func (l *flowList) push(f *flow) {
	in := &f.standing.in[l.kind]
	in.prev, in.next = l.last, nil
	if l.last != nil {
		l.last.standing.in[l.kind].next = f
	} else {
		l.first = f
	}
	l.last = f
	l.n++
}

// remove takes f, which must be in this list, out of it.
func (l *flowList) remove(f *flow) {
	in := &f.standing.in[l.kind]
	if in.prev != nil {
		in.prev.standing.in[l.kind].next = in.next
	} else {
		l.first = in.next
	}
	if in.next != nil {
		in.next.standing.in[l.kind].prev = in.prev
	} else {
		l.last = in.prev
	}
	*in = links{}
	l.n--
}
