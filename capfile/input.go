package capfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"netmirror/userfile"
)

const (
	readBuffer = 64 << 10 // bytes
	// maxWindow is how much memory a zstd file may ask for: the limit of the zstd program.
	maxWindow = 128 << 20
)

// input is an open capture file.
type input struct {
	format
	file  io.Closer
	plain io.Closer // the decompressor; nil: none
	bytes *bufio.Reader
	whole bool  // its size is known, and it can be opened again
	size  int64 // bytes
}

// counters are a format's counters, which other goroutines may read.
type counters struct{ otherLink, dropped atomic.Uint64 }

// openInput opens the file at path and reads its header. read counts the bytes as
// they are read from the file, compressed or not.
func openInput(path string, stdin io.Reader, read *atomic.Int64, stats *counters) (*input, error) {
	in := new(input)
	raw := stdin
	if path == Stdin {
		in.file = io.NopCloser(nil)
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, userfile.Reason(err)
		}
		in.file, raw = f, f
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			in.whole, in.size = true, st.Size()
		}
	}
	if err := in.begin(&countingReader{raw, read}, stats); err != nil {
		in.Close()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the file ends within its header (%w), so there is no packet in it; give another one", err)
		}
		return nil, userfile.Reason(err)
	}
	return in, nil
}

// Close closes the file, but not standard input.
func (in *input) Close() error {
	if in.plain != nil {
		in.plain.Close() // what it has read is all that was wanted of it
	}
	return in.file.Close()
}

// begin detects the file's format and reads its header.
func (in *input) begin(raw io.Reader, stats *counters) error {
	plain, err := in.decompress(bufio.NewReaderSize(raw, readBuffer))
	if err != nil {
		return err
	}
	in.bytes = plain
	magic, err := plain.Peek(4)
	if len(magic) == 0 && err == io.EOF {
		return fmt.Errorf("%w: it is empty; give another one", ErrFormat)
	}
	switch {
	case err != nil && in.plain != nil:
		return notCompressed(err)
	case err != nil:
		return within(err)
	}
	if order := pcapOrder(magic); order != nil {
		in.format, err = newPcap(plain, order)
		return err
	}
	if binary.LittleEndian.Uint32(magic) == blockSection {
		in.format = &sorter{file: newPcapng(plain, stats)}
		return nil
	}
	return fmt.Errorf("%w: it begins with % x, like neither pcap nor pcapng, compressed with gzip or zstd or not; editcap converts other formats, xz -dc FILE | ... decompresses others", ErrFormat, magic)
}

// Magic numbers (RFC 1952, section 2.3.1; RFC 8878, section 3.1.1).
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// decompress returns the bytes of the file, decompressed if its first bytes say that it is
// compressed.
func (in *input) decompress(r *bufio.Reader) (*bufio.Reader, error) {
	magic, err := r.Peek(4)
	if err != nil {
		return r, nil // begin says what is wrong
	}
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, notCompressed(err)
		}
		in.plain = z
		return bufio.NewReaderSize(z, readBuffer), nil
	case bytes.Equal(magic, zstdMagic):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, notCompressed(err)
		}
		in.plain = z.IOReadCloser()
		return bufio.NewReaderSize(z, readBuffer), nil
	}
	return r, nil
}

// notCompressed is the error for a file that a decompressor refuses at its beginning.
func notCompressed(err error) error {
	if err = within(err); err == io.ErrUnexpectedEOF {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// countingReader counts the bytes read through it.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
