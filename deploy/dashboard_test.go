package deploy_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const dashboardFile = "grafana/netmirror.json"

type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID         int
		Type       string
		Title      string
		Repeat     string
		Datasource struct{ UID string }
		GridPos    struct{ X, Y, W, H int }
		Targets    []struct{ Expr, RefID string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, schemaVersion %d", d.UID, d.SchemaVersion)
	}
	if v := d.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Errorf("the first variable is not the data source: %v", v)
	}
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if cells[at] != "" || at[0] >= 24 {
					t.Errorf("%s lies on %q or beside the page", p.Title, cells[at])
				}
				cells[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: data source %q, %d targets", p.Title, p.Datasource.UID, len(p.Targets))
		}
	}
}

// TestDashboardHasARowForEachService: the row is repeated for each that is chosen, its
// panels are of that one, and no other panel is.
func TestDashboardHasARowForEachService(t *testing.T) {
	d := readDashboard(t)
	offered := ""
	for _, v := range d.Templating.List {
		if v.Name == "service" {
			offered = v.Definition
		}
	}
	if want := `label_values(netmirror_service_streams_total{job=~"$job", instance=~"$instance"}, service)`; offered != want {
		t.Errorf("the services are %q, want %q", offered, want)
	}
	in, of := "", 0
	for _, p := range d.Panels {
		if p.Type == "row" {
			in = p.Repeat
		}
		for _, target := range p.Targets {
			chosen := strings.Contains(target.Expr, `service=~"$service"`)
			if chosen != (in == "service") || chosen != strings.Contains(target.Expr, "netmirror_service_") {
				t.Errorf("%s: in a row of %q: %s", p.Title, in, target.Expr)
			}
			if chosen {
				of++
			}
		}
	}
	if of < 6 {
		t.Errorf("only %d expressions are of a service", of)
	}
}
