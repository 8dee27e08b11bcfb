package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"netmirror/e2e/lab"
)

// form is a request. Its path is the request's number.
type form struct {
	text []byte
	at   int // of the number in text
}

const idDigits = 16

// newForm has a body of so many bytes; a GET has none.
func newForm(method string, body int) form {
	header := fmt.Sprintf("%s /%0*d HTTP/1.1\r\nHost: lab\r\n", method, idDigits, 0)
	if body > 0 {
		header += fmt.Sprintf("Content-Length: %d\r\n", body)
	}
	content := make([]byte, body)
	lab.Body(0).Read(content)
	return form{text: slices.Concat([]byte(header), []byte("\r\n"), content), at: len(method) + len(" /")}
}

// mark makes r, a copy of the text, request n.
func (f form) mark(r []byte, n int) {
	id := r[f.at : f.at+idDigits]
	for i := range id {
		id[len(id)-1-i] = byte('0' + n%10)
		n /= 10
	}
}

// number is undone mark. It is negative where there is no number below limit.
func (f form) number(r []byte, limit int) int {
	n, err := strconv.Atoi(string(r[f.at : f.at+idDigits]))
	if err != nil || n >= limit {
		return -1
	}
	return n
}

// journey is when each of some requests began and came.
type journey struct {
	begun []time.Time    // when the client wrote it
	came  []atomic.Int64 // when it came to the shadow service, as time since start; 0: not yet
	start time.Time
}

func newJourney(count int) *journey {
	return &journey{begun: make([]time.Time, count), came: make([]atomic.Int64, count), start: time.Now()}
}

// note says that request n has come. It is false for one that came before.
func (j *journey) note(n int, now time.Time) bool {
	return j.came[n].CompareAndSwap(0, int64(now.Sub(j.start)))
}

// latencies are how long each request that came took from the client's write,
// in ascending order.
func (j *journey) latencies() (all []time.Duration) {
	for i := range j.came {
		if at := j.came[i].Load(); at != 0 {
			all = append(all, j.start.Add(time.Duration(at)).Sub(j.begun[i]))
		}
	}
	slices.Sort(all)
	return all
}
