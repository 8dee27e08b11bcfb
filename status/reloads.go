package status

import "time"

// Reloads are how often the settings were read again while netmirror ran.
type Reloads struct {
	Done, Failed uint64
	Last         time.Time // of either; zero: never
}

// reloadsReport is Reloads in /status.json.
type reloadsReport struct {
	Done   uint64 `json:"done"`
	Failed uint64 `json:"failed"`
	Last   int64  `json:"last,omitempty"` // Unix milliseconds
}

// Reloaded says that these settings are in force from now on, with targets as they are
// shown. changed are the services that go on with other settings.
func (m *Monitor) Reloaded(settings []Setting, target string, changed []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watch.unheard.restart(changed)
	m.cfg.Settings, m.cfg.Target = settings, target
	m.reloads.Done++
	m.reloads.Last = time.Now()
}

// ReloadFailed says that settings were read and could not be put into force.
func (m *Monitor) ReloadFailed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reloads.Failed++
	m.reloads.Last = time.Now()
}

func (m *Monitor) reloaded() Reloads {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reloads
}

// reloadsReport is the reloads in /status.json. m.mu is held.
func (m *Monitor) reloadsReport() reloadsReport {
	r := reloadsReport{Done: m.reloads.Done, Failed: m.reloads.Failed}
	if !m.reloads.Last.IsZero() {
		r.Last = m.milli(m.reloads.Last)
	}
	return r
}
