package capfile

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// BenchmarkRead compares with gopacket's reader, which takes no link layer off and
// merges nothing.
func BenchmarkRead(b *testing.B) {
	const packets, size = 10_000, 1500
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		b.Fatal(err)
	}
	for i := range packets {
		ci := gopacket.CaptureInfo{Timestamp: zero.Add(time.Duration(i) * batchTime / 20), CaptureLength: size, Length: size}
		if err := w.WritePacket(ci, make([]byte, size)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("batches", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			r, err := Open([]string{Stdin}, bytes.NewReader(file.Bytes()))
			if err != nil {
				b.Fatal(err)
			}
			batches := NewBatcher(r)
			var batch Batch
			for batches.Read(&batch) == nil {
			}
		}
	})
	b.Run("pcapgo", func(b *testing.B) {
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			r, err := pcapgo.NewReader(bytes.NewReader(file.Bytes()))
			if err != nil {
				b.Fatal(err)
			}
			for err != io.EOF {
				_, _, err = r.ZeroCopyReadPacketData()
			}
		}
	})
}
