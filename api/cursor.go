package api

import (
	"encoding/base64"
	"strconv"
	"strings"

	"flette/model"
)

// A list cursor is the base64url of the list's name and the engine's key of the last item.
// It needs no authentication: it only says where to go on in a list that the caller may read
// anyway. One list's cursor is not another's, and what does not look like a key is refused.

const maxListKey = 300

var cursorB64 = base64.RawURLEncoding.Strict()

// nextOf makes the cursor that continues after key; "" when there is no more.
func nextOf(list, key string) string {
	if key == "" {
		return ""
	}
	return cursorB64.EncodeToString([]byte(list + "\n" + key))
}

// afterOf reads a cursor of the list; "" is the start.
func afterOf(list, cursor string) (string, *failure) {
	if cursor == "" {
		return "", nil
	}
	raw, err := cursorB64.DecodeString(cursor)
	if err != nil || strings.ContainsAny(cursor, "\r\n") {
		return "", fail("invalid-cursor", "")
	}
	name, key, ok := strings.Cut(string(raw), "\n")
	if !ok || name != list || key == "" || len(key) > maxListKey || !printableKey(key) {
		return "", fail("invalid-cursor", "")
	}
	return key, nil
}

func printableKey(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// afterPerson and afterPosition read cursors whose keys have a shape of their own.

func afterPerson(list, cursor string) (model.PersonID, *failure) {
	key, f := afterOf(list, cursor)
	if f != nil || key == "" {
		return model.PersonID{}, f
	}
	id, err := model.ParsePersonID(key)
	if err != nil {
		return model.PersonID{}, fail("invalid-cursor", "")
	}
	return id, nil
}

func afterPosition(list, cursor string) (int64, *failure) {
	key, f := afterOf(list, cursor)
	if f != nil || key == "" {
		return -1, f
	}
	at, err := strconv.ParseInt(key, 10, 64)
	if err != nil || at < 0 || strconv.FormatInt(at, 10) != key {
		return -1, fail("invalid-cursor", "")
	}
	return at, nil
}
