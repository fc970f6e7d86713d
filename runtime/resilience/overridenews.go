package resilience

import (
	"context"
	"strconv"
	"time"
)

// say has an event of who changes policies told, when rt.mu is free: see
// tellNews.
func (rt *Runtime) say(e Event) {
	if rt.news == nil {
		return
	}
	e.Time = time.Now()
	rt.news.add(context.Background(), e)
}

// told is what an event of an override says once.
type told struct{ name, key, value string }

// sayApplied has told what overrides changed. rt.mu is held.
func (rt *Runtime) sayApplied(old, now *overrides) {
	if rt.news == nil {
		return
	}
	were, are, keys := map[told]bool{}, map[told]bool{}, map[told]bool{}
	for o := range old.each {
		were[told{o.Name, o.Key, o.Value}] = true
	}
	for o := range now.each {
		t := told{o.Name, o.Key, o.Value}
		if !were[t] && !are[t] {
			rt.say(Event{Kind: OverrideApplied, Name: o.Name, Key: o.Key, Value: o.Value, By: o.Origin})
		}
		are[t], keys[told{o.Name, o.Key, ""}] = true, true
	}
	for o := range old.each {
		if t := (told{o.Name, o.Key, ""}); !keys[t] {
			keys[t] = true
			rt.say(Event{Kind: OverrideApplied, Name: o.Name, Key: o.Key, Reason: takenBack})
		}
	}
}

const takenBack = "taken back"

// each yields the overrides, the strongest last.
func (o *overrides) each(yield func(*Override) bool) {
	for _, list := range [][]Override{o.listed, o.updated} {
		for i := range list {
			if !yield(&list[i]) {
				return
			}
		}
	}
}

// refuse has told why something was not put in force.
func (rt *Runtime) refuse(name, by string, err error) {
	rt.say(Event{Kind: OverrideRefused, Name: name, By: by, Err: err})
}

// RefuseOverrides tells that what [Runtime.SetOverrides] was to get is no list
// of overrides, because of err: a file that cannot be read. The overrides before
// stay in force, the health warns, and an event says why, once for each err,
// until SetOverrides has put others in force.
func (rt *Runtime) RefuseOverrides(err error) {
	root, _ := rt.root()
	defer root.tellNews()
	root.mu.Lock()
	defer root.mu.Unlock()
	root.refuseList(err)
}

// refuseList remembers why the list of overrides is not in force. rt.mu is held.
func (rt *Runtime) refuseList(err error) {
	if rt.refused != nil && rt.refused.Error() == err.Error() {
		return
	}
	rt.refuse("", "", err)
	rt.standing(err)
}

// standing notes whether the list of overrides that was given last is in force,
// which the health shows. rt.mu is held.
func (rt *Runtime) standing(refused error) {
	rt.refused = refused
	if rt.touchHealth != nil {
		rt.touchHealth()
	}
}

// saySwitch tells of a switch that was thrown. rt.mu is held.
func (rt *Runtime) saySwitch(on bool, name string) {
	if was, given := rt.enabled[name]; !given || was != on {
		rt.say(Event{Kind: OverrideApplied, Name: name, Key: "enabled", Value: strconv.FormatBool(on), By: "Runtime.SetEnabled"})
	}
}

// sayPreset tells of a preset that was applied. rt.mu is held.
func (rt *Runtime) sayPreset(p Preset) {
	switch {
	case rt.pinned:
		rt.refuse("", "Runtime.Apply", errPinned)
	case p != rt.preset:
		e := Event{Kind: OverrideApplied, Key: "preset", Value: presetWords[p], By: "Runtime.Apply"}
		if p == NoPreset {
			e.Reason = takenBack
		}
		rt.say(e)
	}
}
