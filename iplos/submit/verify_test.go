package submit

import (
	"context"
	"strings"
	"testing"

	"flette/store"
)

// TestVerifySeesWhatWasChanged changes one thing at a time.
func TestVerifySeesWhatWasChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world, r *Record)
		want   string
	}{
		{"nothing", func(*world, *Record) {}, ""},
		{"a hash", func(w *world, r *Record) { s := r.Submission; s.SHA256 = hashOf(nil); w.put(s) }, "its id is not that of its content"},
		{"who prepared it", func(w *world, r *Record) { s := r.Submission; s.By = "nobody"; w.put(s) }, "event 1 does not follow"},
		{"counts", func(w *world, r *Record) {
			s := r.Submission
			s.Counts = map[string]int{"15": 4}
			w.put(s)
		}, "event 1 does not follow"},
		{"a time in the middle", func(w *world, r *Record) { e := r.Events[1]; e.At++; w.put(e) }, "event 3 does not follow"},
		{"an answer", func(w *world, r *Record) { e := r.Events[2]; e.State = Accepted; w.put(e) }, "event 4"},
		{"the last state", func(w *world, r *Record) { e := r.Events[len(r.Events)-1]; e.State = Prepared; w.put(e) }, "which it cannot"},
		{"an event taken away", func(w *world, r *Record) { w.remove(r.Events[1]) }, "event 2 is missing"},
		{"all events", func(w *world, r *Record) {
			for _, e := range r.Events {
				w.remove(e)
			}
		}, "it has no history"},
		{"the submission", func(w *world, r *Record) { w.remove(r.Submission) }, "belong to no submission"},
		{"its extract", func(w *world, r *Record) { w.remove(store.Extract{ID: r.Extract}) }, "its extract is not there"},
		{"another extract", func(w *world, r *Record) {
			w.put(store.Extract{ID: r.Extract, Target: Test, From: 1, To: 5, SHA256: hashOf(nil)})
		}, "its extract is another"},
		{"a second that stands", func(w *world, r *Record) {
			s := r.Submission
			s.SHA256 = hashOf([]byte("other"))
			s.ID = idOf(skogvik, s.Shipment, "")
			w.put(s)
		}, "it stands for the same as"},
		{"a predecessor that is not there", func(w *world, r *Record) {
			s := r.Submission
			s.Replaces = "nobody"
			w.put(s)
		}, "it replaces a submission that is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			sub := w.mustPrepare(w.events(1, 5, "message"), "")
			for _, state := range []string{Unknown, Accepted} {
				w.reg = func(Submission, []byte) Receipt { return Receipt{State: state} }
				if _, err := w.send(sub.ID); err != nil {
					t.Fatal(err)
				}
			}
			c.change(w, w.record(sub.ID))
			got := strings.Join(w.verify(), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func (w *world) remove(d store.Doc) {
	w.t.Helper()
	if _, err := w.st.Update(context.Background(), skogvik, nil, func(tx store.Tx) error { return store.Delete(tx, d) }); err != nil {
		w.t.Fatal(err)
	}
}
