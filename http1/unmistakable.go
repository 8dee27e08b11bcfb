package http1

import (
	"bytes"
	"strings"
)

// Unmistakable judges b strictly. It is for places where the bytes directly before
// b are unknown: after a loss, or in a connection older than the capture. There b may
// be the middle of a body or of a longer method.
//
// A Request has its whole line in b, possibly after empty lines: a method, a target,
// and a version of a protocol that has requests of this form. After a known method
// (see below) the target may be anything. Any other method must be in capitals, and
// its target a path, a URL or an asterisk. Until the line has ended, the answer is
// Possible at best.
//
// A method that is the end of another one (LOCK of UNLOCK, BIND of REBIND)
// contradicts: the bytes in front may have been lost, and then it means the opposite.
// So does an unknown method that ends with a known one or is the end of one: XGET, or
// OST of POST. PATCH and SEARCH are exceptions, although PROPPATCH, ORDERPATCH and
// M-SEARCH end with them: they are common, and the others belong to WebDAV and UPnP.
func Unmistakable(b []byte) Likeness {
	b = trimBlank(b)
	n := bytes.IndexAny(b[:min(len(b), longestMethod+1)], " \t")
	switch {
	case n < 0 && (beginsMethod(b) || len(b) <= longestMethod && capitals(b)):
		return Possible
	case n < 0:
		return Contradicts
	}
	registered := methods[string(b[:n])]
	if !registered && !unregisteredMethod(string(b[:n])) {
		return Contradicts
	}
	var l requestLine
	end, verdict := l.feed(b)
	if verdict == Contradicts {
		return Contradicts
	}
	target, version := cutLine(b[n:end])
	if verdict == Possible {
		return Possible
	}
	if !registered && (bytes.ContainsAny(target, " \t") || !pathOrURL(target) && string(target) != "*") {
		return Contradicts
	}
	if !versionKnown(version) {
		return Contradicts
	}
	return Request
}

// unregisteredMethod reports whether m can be a method that is not in known.
func unregisteredMethod(m string) bool {
	if len(m) < 3 || !capitals([]byte(m)) {
		return false
	}
	for r := range strings.FieldsSeq(known) {
		if strings.HasSuffix(r, m) || strings.HasSuffix(m, r) {
			return false
		}
	}
	return true
}

// cutLine splits what follows the method into the target and the version, which
// is the last word.
func cutLine(b []byte) (target, version []byte) {
	b = bytes.Trim(b, " \t\r\n")
	i := bytes.LastIndexAny(b, " \t")
	if i < 0 {
		return nil, b
	}
	return bytes.TrimRight(b[:i], " \t"), b[i+1:]
}

// versionKnown reports whether v is a version that servers of requests of this
// form speak: HTTP/1, RTSP (RFC 2326, 7826), ICAP (RFC 3507), SIP (RFC 3261)
// and ICE, which is Icecast's.
func versionKnown(v []byte) bool {
	name, number, _ := bytes.Cut(v, []byte("/"))
	if len(number) != len("1.1") {
		return false
	}
	switch string(name) {
	case "HTTP", "ICAP", "ICE":
		return number[0] == '1'
	case "RTSP":
		return number[0] == '1' || number[0] == '2'
	case "SIP":
		return number[0] == '2'
	}
	return false
}

// known are the registered methods (IANA http-methods) except PRI, and others that
// are widely used: those of caches, UPnP and Icecast, RTSP, ICAP and SIP.
const known = "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE " +
	"MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH " +
	"PUT QUERY REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL " +
	"BAN PURGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE SOURCE RPC_IN_DATA RPC_OUT_DATA " +
	"ANNOUNCE DESCRIBE GET_PARAMETER PAUSE PLAY RECORD REDIRECT SETUP SET_PARAMETER TEARDOWN " +
	"REQMOD RESPMOD " +
	"ACK BYE CANCEL INFO INVITE MESSAGE PRACK PUBLISH REFER REGISTER"

// methods are the known methods that are not the end of another one.
var methods = func() map[string]bool {
	all := strings.Fields(known)
	m := make(map[string]bool, len(all))
	for _, short := range all {
		m[short] = true
		for _, long := range all {
			if short != long && short != "PATCH" && short != "SEARCH" && strings.HasSuffix(long, short) {
				delete(m, short)
			}
		}
	}
	return m
}()

// longestMethod is the length of the longest known method, in bytes.
const longestMethod = len("UPDATEREDIRECTREF")

// beginsMethod reports whether b is the beginning of one of the methods.
func beginsMethod(b []byte) bool {
	for m := range methods {
		if strings.HasPrefix(m, string(b)) {
			return true
		}
	}
	return false
}
