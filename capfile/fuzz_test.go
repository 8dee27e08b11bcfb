package capfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzRead reads anything: what comes out is within bounds, times of batches do not go
// back, and no more memory is held than a packet takes.
func FuzzRead(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*[pgzt]")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open([]string{Stdin}, bytes.NewReader(b))
		if err != nil {
			return
		}
		defer r.Close()
		batches := NewBatcher(r)
		var batch, before Batch
		for batches.Read(&batch) == nil {
			if len(batch.Frames) == 0 || len(batch.Frames) > batchFrames || len(batch.Frames) != len(batch.Lengths) {
				t.Fatalf("a batch of %d frames", len(batch.Frames))
			}
			if batch.Time.Before(before.Time) {
				t.Fatalf("time goes back from %v to %v", before.Time, batch.Time)
			}
			if n := batch.Time.UnixNano(); !time.Unix(0, n).Equal(batch.Time) || n < 0 {
				t.Fatalf("%v does not fit into 64 bits of nanoseconds", batch.Time)
			}
			before.Time = batch.Time
			for i, frame := range batch.Frames {
				if batch.Lengths[i] < len(frame) || len(frame) > maxPacket+headroom {
					t.Fatalf("%d bytes of %d", len(frame), batch.Lengths[i])
				}
			}
		}
		for _, m := range r.all {
			if m.in == nil {
				continue
			}
			if n, ok := m.in.format.(*sorter); ok && (cap(n.file.buf.b) > headroom+maxPacket || n.bytes > maxSorted+2*maxPacket) {
				t.Fatalf("a buffer of %d bytes, and %d held", cap(n.file.buf.b), n.bytes)
			}
		}
	})
}
