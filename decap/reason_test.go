package decap_test

import (
	"regexp"
	"testing"

	"netmirror/decap"
)

func TestReasonNamesAreDistinctLabels(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]decap.Reason{}
	for r := range decap.NumReasons {
		name := r.String()
		if !label.MatchString(name) {
			t.Errorf("reason %d is called %q", r, name)
		}
		if other, twice := seen[name]; twice {
			t.Errorf("reasons %d and %d are both called %q", other, r, name)
		}
		seen[name] = r
	}
	if decap.OtherVNI.String() != "other_vni" || decap.OK != 0 {
		t.Errorf("OtherVNI is %q, OK is %d", decap.OtherVNI, decap.OK)
	}
	if s := decap.NumReasons.String(); s != "unknown" {
		t.Errorf("a value beyond the reasons is called %q", s)
	}
}

func TestBrokenTellsUnreadableFromNotOurs(t *testing.T) {
	notOurs := map[decap.Reason]bool{
		decap.OK: true, decap.OuterNotIP: true, decap.OuterNotUDP: true, decap.OtherUDPPort: true,
		decap.OtherVNI: true, decap.InnerNotIP: true, decap.InnerNotTCP: true, decap.OtherPort: true,
		decap.ControlPacket: true, decap.OtherPayload: true, decap.NumReasons: true,
	}
	for r := range decap.NumReasons + 1 {
		if r.Broken() == notOurs[r] {
			t.Errorf("%v: Broken is %t", r, r.Broken())
		}
	}
}
