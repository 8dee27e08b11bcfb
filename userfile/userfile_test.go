package userfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that cannot be read is named once, with what to do.
func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none")
	for path, want := range map[string]string{
		none: none + ": no such file or directory; correct the path",
		dir:  dir + " is not an ordinary file; name the file with settings",
		long: long + " is too long for settings, which take 1 MiB at the most; name another file",
	} {
		if _, err := Read(path, "settings", 1); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if text, err := Read(long, "settings", 2); err != nil || len(text) != 1<<20+1 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestReason(t *testing.T) {
	for err, want := range map[error]string{
		unix.EACCES: "permission denied; let the user that netmirror runs as read it",
		unix.EISDIR: "is a directory; name the files in it",
		unix.EIO:    "input/output error",
	} {
		got := Reason(&os.PathError{Op: "open", Path: "/a", Err: err})
		if got.Error() != want || !errors.Is(got, err) {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if other := errors.New("x"); Reason(other) != other || Reason(nil) != nil {
		t.Error("an error of another kind is altered")
	}
	if strings.Contains(Reason(&os.PathError{Path: "/a", Err: unix.ENOENT}).Error(), "/a") {
		t.Error("the path is there twice")
	}
}
