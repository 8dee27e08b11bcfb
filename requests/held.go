package requests

// hold keeps what is held back; in ends with the newest of it.
func (e *Editor) hold(in []byte) {
	s := &e.next
	if s.holds == 0 {
		e.held = nil
	} else {
		e.held = append(e.held[:s.holds-s.tail], in[len(in)-s.tail:]...)
	}
	if s.leads == 0 {
		e.lead = nil
	}
}

// account tells the Rules how much is held back.
func (e *Editor) account() {
	if held := len(e.held) + e.leads; held != e.told {
		e.rules.held.Add(int64(held - e.told))
		e.told = held
	}
}

// GiveBack returns the end of what was read, as far as it is held back, and counts it as
// not read. It is for a stream of which nothing more will be read; Close is still to be
// called. e may be nil.
func (e *Editor) GiveBack() (held []byte) {
	if e == nil {
		return nil
	}
	held, e.held, e.holds = e.held, nil, 0
	e.account()
	return held
}

// pending is what is held back, with b behind it. It is valid until the next call.
func (e *Editor) pending(s *state, b []byte) []byte {
	if s.holds == 0 {
		return b
	}
	kept := len(e.held)
	all := append(e.held, b...)
	e.held = all[:kept]
	return all
}
