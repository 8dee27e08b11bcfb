package status

import (
	_ "embed"
	"net/http"
)

//go:embed page/page.html
var pageHTML []byte

// page serves the status page.
var page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(pageHTML) // what fails is the connection
})
