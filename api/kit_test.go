package api

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	"flette/model"
	"flette/sync"
)

func make32(b byte) []byte {
	out := make([]byte, 32)
	for i := range out {
		out[i] = b
	}
	return out
}

func mustKey(t testing.TB, key crypto.Signer) jwk.PublicKey {
	t.Helper()
	pub, err := jwk.New(key.Public())
	must(t, err)
	return pub
}

func athOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func endOf(actor string, person model.PersonID) sync.Assign {
	return sync.Assign{Actor: model.ActorID(actor), Persons: []model.PersonID{person}, End: true, By: "test"}
}

type items struct {
	ids  []string
	next string
}

// itemsOf reads any list: the one array of the body, each item by its canonical bytes.
func itemsOf(t testing.TB, body []byte) (out items) {
	t.Helper()
	var all map[string]jsontext.Value
	must(t, json.Unmarshal(body, &all))
	for name, v := range all {
		if name == "next" {
			must(t, json.Unmarshal(v, &out.next))
		}
		if v.Kind() == '[' {
			var list []jsontext.Value
			must(t, json.Unmarshal(v, &list))
			for _, item := range list {
				out.ids = append(out.ids, string(item))
			}
		}
	}
	return out
}

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }
