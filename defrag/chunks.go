package defrag

import "bytes"

const (
	// ChunkBytes is the unit of the memory. It holds a fragment on a link with an MTU of 1500.
	ChunkBytes = 2048
	// none ends a chain of chunks and a list of pieces.
	none = int32(-1)
)

// piece is a stored fragment: its headers, if it is a datagram's first, then its
// data, in a chain of chunks. It has the number of its first chunk.
type piece struct {
	offset int   // of its data in the datagram, bytes
	size   int   // of its data, bytes
	header int   // bytes before the data
	ip     int   // where in the header the IP header starts
	next   int32 // the datagram's next piece by offset
	print  uint64
}

func (p *piece) end() int { return p.offset + p.size }

// chunks is a fixed amount of memory in pieces of one size, so that what
// fragments take is known exactly and costs no allocation.
type chunks struct {
	memory []byte  // made with the first fragment: most captures have none
	chain  []int32 // for each chunk the next of its chain, or of the free ones
	pieces []piece // by first chunk
	free   int32   // the first free chunk
	count  int     // of all chunks
	left   int     // free ones
}

func newChunks(size int) chunks {
	n := (size + ChunkBytes - 1) / ChunkBytes
	return chunks{count: n, left: n}
}

// need is how many chunks the two parts of a fragment take.
func (c *chunks) need(header, data []byte) int {
	return (len(header) + len(data) + ChunkBytes - 1) / ChunkBytes
}

// store copies header and data, and returns their piece. At least one of them is not empty,
// and the caller has made sure that there is room.
func (c *chunks) store(header, data []byte) int32 {
	if c.memory == nil {
		c.make()
	}
	first := c.take()
	c.pieces[first] = piece{header: len(header), size: len(data), next: none}
	at, room := first, c.chunk(first)
	for _, part := range [...][]byte{header, data} {
		for len(part) > 0 {
			if len(room) == 0 {
				c.chain[at] = c.take()
				at = c.chain[at]
				room = c.chunk(at)
			}
			n := copy(room, part)
			room, part = room[n:], part[n:]
		}
	}
	return first
}

func (c *chunks) make() {
	c.memory = make([]byte, c.count*ChunkBytes)
	c.pieces = make([]piece, c.count)
	c.chain = make([]int32, c.count)
	for i := range c.chain {
		c.chain[i] = int32(i) + 1
	}
	c.chain[c.count-1] = none
}

// take gives a chunk that ends its chain.
func (c *chunks) take() int32 {
	i := c.free
	c.free, c.chain[i] = c.chain[i], none
	c.left--
	return i
}

// release makes the chunks of a piece free.
func (c *chunks) release(first int32) {
	for i := first; i != none; {
		next := c.chain[i]
		c.chain[i], c.free = c.free, i
		c.left++
		i = next
	}
}

func (c *chunks) chunk(i int32) []byte {
	return c.memory[int(i)*ChunkBytes : (int(i)+1)*ChunkBytes]
}

// appendTo appends a piece, headers and data, to b.
func (c *chunks) appendTo(b []byte, first int32) []byte {
	left := c.pieces[first].header + c.pieces[first].size
	for i := first; left > 0; i = c.chain[i] {
		part := c.chunk(i)[:min(left, ChunkBytes)]
		b = append(b, part...)
		left -= len(part)
	}
	return b
}

// holds says whether data is the data of a piece.
func (c *chunks) holds(first int32, data []byte) bool {
	p := &c.pieces[first]
	if p.size != len(data) {
		return false
	}
	skip := p.header
	for i := first; len(data) > 0; i = c.chain[i] {
		if skip >= ChunkBytes {
			skip -= ChunkBytes
			continue
		}
		part := c.chunk(i)[skip:]
		part = part[:min(len(part), len(data))]
		if !bytes.Equal(part, data[:len(part)]) {
			return false
		}
		data, skip = data[len(part):], 0
	}
	return true
}
