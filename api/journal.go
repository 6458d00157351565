package api

import (
	"encoding/base64"
	"net/http"

	"golang.org/x/mod/sumdb/tlog"

	"flette/journal"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

func getCheckpoint(c *call) (answer, error) {
	var out contract.CheckpointResponse
	keys, err := c.engine().Keys(c.who.tenant)
	if err != nil {
		return answer{}, err
	}
	out.Key = keys.JournalVerifier()
	err = c.view(func(v store.View) error {
		out.Epoch = v.Tenant().Epoch
		text, err := v.Checkpoint()
		out.Checkpoint = string(text)
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

// getInclusion proves that an entry is in the journal. The leaf holds no personal data, and
// who asks must know the entry's id and whose it is.
func getInclusion(c *call) (answer, error) {
	id, err := model.ParseEntryID(c.text("entry"))
	if err != nil {
		return answer{}, badQuery("entry")
	}
	person, f := c.personQuery()
	if f != nil {
		return answer{}, f
	}
	size, f := c.number("size", 0, 1, maxSafe)
	if f != nil {
		return answer{}, f
	}
	var out contract.InclusionProof
	err = c.view(func(v store.View) error {
		whose := model.PersonID{}
		if person != nil {
			whose = *person
			access, err := c.access(v)
			if err != nil {
				return err
			}
			if access.Barred(whose) {
				return store.ErrNotFound
			}
		}
		at, err := v.EntryPosition(whose, id)
		if err != nil {
			return err
		}
		l, err := v.Entry(at)
		if err != nil {
			return err
		}
		if size == 0 {
			size = v.Size()
		}
		if size <= at || size > v.Size() {
			return fail("invalid-query", "The parameter size is beyond the journal, or before the entry.")
		}
		proof, err := journal.ProveLeaf(at, size, journal.Reader(v))
		if err != nil {
			return err
		}
		out = contract.InclusionProof{
			Entry: id, Position: at, Size: size, Leaf: string(sync.LeafOf(l).Bytes()), Proof: hashes(proof.Hashes),
		}
		return nil
	})
	return answer{status: http.StatusOK, value: out}, err
}

func getConsistency(c *call) (answer, error) {
	from, f := c.number("from", -1, 0, maxSafe)
	if f != nil {
		return answer{}, f
	}
	to, f := c.number("to", -1, 0, maxSafe)
	if f != nil {
		return answer{}, f
	}
	if from < 0 {
		return answer{}, fail("invalid-query", "The parameter from is required.")
	}
	var out contract.ConsistencyProof
	err := c.view(func(v store.View) error {
		if to < 0 {
			to = v.Size()
		}
		if from > to || to > v.Size() {
			return fail("invalid-query", "The sizes are out of order or beyond the journal.")
		}
		proof, err := journal.ProveConsistency(from, to, journal.Reader(v))
		if err != nil {
			return err
		}
		out = contract.ConsistencyProof{From: from, To: to, Proof: hashes(proof.Hashes)}
		return nil
	})
	return answer{status: http.StatusOK, value: out}, err
}

func hashes(in []tlog.Hash) []string {
	out := make([]string, len(in))
	for i := range in {
		out[i] = base64.StdEncoding.EncodeToString(in[i][:])
	}
	return out
}
