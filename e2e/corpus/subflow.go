package corpus

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/gopacket/layers"
)

// multi is an MPTCP connection (RFC 8684): one stream of data over several TCP
// connections, its subflows.
type multi struct {
	*scene
	clientKey, serverKey []byte
	sent, answered       uint64 // next data sequence numbers of the client and the server
	short                bool   // numbers of 4 bytes in the options
}

// subflow is one TCP connection of an MPTCP connection.
type subflow struct {
	*conn
	of               *multi
	isn, answersFrom uint32 // initial sequence numbers of client and server
	begun            bool   // data went before, so that the keys need not be told again
}

func option(b ...byte) []layers.TCPOption {
	return []layers.TCPOption{{OptionType: 30, OptionLength: uint8(len(b) + 2), OptionData: b}}
}

// keyed returns the token of a key and its initial data sequence number (RFC 8684, section 3.1).
func keyed(key []byte) (token uint32, idsn uint64) {
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint32(sum[:]), binary.BigEndian.Uint64(sum[24:])
}

const capable, sha = 0x01, 0x01 // MP_CAPABLE of version 1; HMAC-SHA256

// multi returns a connection and its first subflow, whose handshake was captured.
func (s *scene) multi() (*multi, *subflow) {
	m := &multi{scene: s}
	m.clientKey = binary.BigEndian.AppendUint64(nil, uint64(s.seed)*0x9e3779b97f4a7c15)
	m.serverKey = binary.BigEndian.AppendUint64(nil, uint64(s.seed)*0xbf58476d1ce4e5b9)
	_, m.sent = keyed(m.clientKey)
	_, m.answered = keyed(m.serverKey)
	m.sent, m.answered = m.sent+1, m.answered+1
	f := m.subflow()
	f.emit(seg{flags: "S", opts: option(capable, sha)})
	f.next++
	f.emitServer(seg{flags: "SA", opts: option(append([]byte{capable, sha}, m.serverKey...)...)})
	f.reply++
	f.clientAck = f.reply
	f.emit(seg{flags: "A", opts: option(m.keys()...)})
	return m, f
}

func (m *multi) subflow() *subflow {
	c := m.fresh()
	return &subflow{conn: c, of: m, isn: c.next, answersFrom: c.reply}
}

func (m *multi) keys() []byte {
	return append(append([]byte{capable, sha}, m.clientKey...), m.serverKey...)
}

// join opens a further subflow, from another address of the client. Where its
// handshake is unseen, nothing says to which connection it belongs.
func (m *multi) join(seen bool) *subflow {
	f := m.subflow()
	f.begun = true
	if !seen {
		f.next, f.reply = f.next+1, f.reply+1
		f.clientAck = f.reply
		return f
	}
	token, _ := keyed(m.serverKey)
	na, nb := []byte{1, 2, 3, byte(m.conns)}, []byte{5, 6, 7, byte(m.conns)}
	f.emit(seg{flags: "S", opts: option(append(binary.BigEndian.AppendUint32([]byte{0x10, 2}, token), na...)...)})
	f.next++
	server := code(m.serverKey, m.clientKey, nb, na)[:8]
	f.emitServer(seg{flags: "SA", opts: option(append(append([]byte{0x10, 2}, server...), nb...)...)})
	f.reply++
	f.clientAck = f.reply
	f.emit(seg{flags: "A", opts: option(append([]byte{0x10, 0}, code(m.clientKey, m.serverKey, na, nb)[:20]...)...)})
	f.serverAck()
	return f
}

// code is the message authentication code of RFC 8684, section 3.2.
func code(keyA, keyB, nonceA, nonceB []byte) []byte {
	h := hmac.New(sha256.New, append(append([]byte(nil), keyA...), keyB...))
	h.Write(nonceA)
	h.Write(nonceB)
	return h.Sum(nil)
}

// mapping is a DSS option with an acknowledgment and a mapping (RFC 8684,
// section 3.3).
func (m *multi) mapping(flags byte, ack, dsn uint64, ssn uint32, length int) []layers.TCPOption {
	var b []byte
	if m.short {
		b = binary.BigEndian.AppendUint32([]byte{0x20, flags | 0x05}, uint32(ack))
		b = binary.BigEndian.AppendUint32(b, uint32(dsn))
	} else {
		b = binary.BigEndian.AppendUint64([]byte{0x20, flags | 0x0f}, ack)
		b = binary.BigEndian.AppendUint64(b, dsn)
	}
	b = binary.BigEndian.AppendUint32(b, ssn)
	return option(binary.BigEndian.AppendUint16(b, uint16(length))...)
}

// send sends the connection's next data on the subflow.
func (f *subflow) send(data string) string {
	f.repeat(data, f.of.sent, true)
	f.of.sent += uint64(len(data))
	return data
}

// repeat sends data that have the data sequence number dsn.
func (f *subflow) repeat(data string, dsn uint64, fresh bool) {
	opts := f.of.mapping(0, f.of.answered, dsn, f.next-f.isn, len(data))
	if !f.begun {
		f.begun = true
		opts = option(binary.BigEndian.AppendUint16(f.of.keys(), uint16(len(data)))...)
	}
	f.emit(seg{flags: "PA", data: data, opts: opts, fresh: fresh})
	f.next += uint32(len(data))
}

// sendMapped sends data in packets of up to size bytes under one mapping, which
// only the first of them or, as segmentation offload makes them, each has.
func (f *subflow) sendMapped(data string, size int, each bool) string {
	opts := f.of.mapping(0, f.of.answered, f.of.sent, f.next-f.isn, len(data))
	for rest := data; rest != ""; rest = rest[min(size, len(rest)):] {
		piece := rest[:min(size, len(rest))]
		f.emit(seg{flags: "PA", data: piece, opts: opts, fresh: true})
		f.next += uint32(len(piece))
		if !each {
			opts = nil
		}
	}
	f.of.sent += uint64(len(data))
	return data
}

// lose has data reach the server and not the mirror.
func (f *subflow) lose(data string) {
	f.next += uint32(len(data))
	f.of.sent += uint64(len(data))
}

// answer is a complete answer on the subflow, acknowledged.
func (f *subflow) answer() {
	f.emitServer(seg{flags: "PA", data: ok, opts: f.of.mapping(0, f.of.sent, f.of.answered, f.reply-f.answersFrom, len(ok))})
	f.reply += uint32(len(ok))
	f.of.answered += uint64(len(ok))
	f.clientAck = f.reply
	f.emit(seg{flags: "A", opts: option(binary.BigEndian.AppendUint64([]byte{0x20, 0x03}, f.of.answered)...)})
}

func (f *subflow) request(path string) string {
	sent := f.send(get(path))
	f.answer()
	return sent
}

// end is the DATA_FIN, then the FINs of the subflows (RFC 8684, section 3.3.3).
func (m *multi) end(flows ...*subflow) {
	f := flows[0]
	f.emit(seg{flags: "A", opts: m.mapping(0x10, m.answered, m.sent, 0, 1)})
	m.sent++
	f.emitServer(seg{flags: "A", opts: m.mapping(0x10, m.sent, m.answered, 0, 1)})
	m.answered++
	for _, f := range flows {
		f.close()
	}
}

// turns sends data in pieces of size bytes over the subflows in turn.
func turns(data string, size int, flows ...*subflow) string {
	for i, rest := 0, data; rest != ""; i++ {
		n := min(size, len(rest))
		flows[i%len(flows)].send(rest[:n])
		rest = rest[n:]
	}
	return data
}
