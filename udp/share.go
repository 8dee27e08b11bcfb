package udp

import "fmt"

// idleShare is the part of a receiver's memory that a port has while another has all traffic.
const idleShare = 16

// use gives a port that has something for the first time its share of the memory: the ports
// that mirrors send to have equal ones of all, and the others next to nothing.
func (r *Receiver) use(first *socket) error {
	first.used = true
	ports := len(r.cfg.ports())
	if ports == 1 {
		return nil
	}
	each := len(r.sockets) / ports
	for _, s := range r.sockets {
		s.used = s.used || s.port == first.port
	}
	used := 0
	for _, s := range r.sockets {
		if s.used {
			used++
		}
	}
	used /= each
	all := r.cfg.Bytes / len(r.group.receivers) / each
	room := 0
	for _, s := range r.sockets {
		bytes := all / idleShare
		if s.used {
			bytes = all / used
		}
		if err := s.grow(bytes); err != nil {
			return fmt.Errorf("sharing memory out: %w", err)
		}
		now, err := s.memory()
		if err != nil {
			return fmt.Errorf("sharing memory out: %w", err)
		}
		room += now.size
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room = room
	return nil
}
