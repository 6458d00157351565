package submit

import (
	"fmt"
	"slices"
)

// Whose turn it is after a fault.
const (
	ForOperator = "operator" // mend the set-up, then send the same again
	ForVendor   = "vendor"   // a defect of Flette or of the message: report it
	ForRegister = "register" // wait, or call FHI, then send the same again
)

// Explanation says what to do about a code of the SLASH API.
type Explanation struct {
	Code int
	Name string // as the register calls it
	For  string
	Text string
}

// explanations are the codes of Fhi.Slash.Public's README (2025). Its example shows 2006 with
// the words of 2008, so the name decides when the two disagree.
var explanations = []Explanation{
	{1001, "HttpHeaderMissing", ForOperator, "a header is missing: fill in vendor, software, software_version and export_version in the register's configuration"},
	{1002, "HttpHeaderValidation", ForOperator, "a header has a value that the register does not take: look at vendor, software, software_version and export_version in the configuration"},
	{1003, "InvalidMessageTypeVersion", ForOperator, "the register does not know the message type or its version: ask FHI which name and version this kind of message has there, and write it under types in the configuration"},
	{1004, "InvalidKeyId", ForRegister, "the register did not know its own public key, although it was fetched anew: try again later, then call FHI"},
	{1005, "InvalidDigest", ForVendor, "the register could not read the hash of the message: report this to the vendor"},
	{1006, "PayloadHashMismatch", ForVendor, "the message changed on its way, or was hashed in another way: send it again, and report it to the vendor when it happens twice"},
	{1007, "ExpiredKey", ForRegister, "the register's public key had expired, although it was the newest on offer: call FHI"},
	{1008, "DecryptionErrorForAsymmetricalKey", ForVendor, "the register could not open the message's key: report this to the vendor"},
	{1009, "DecryptionErrorForSymmetricalKey", ForVendor, "the register could not open the message: report this to the vendor"},
	{2001, "ShouldNotReceiveMessageForGivenOrganizationAndMessageType", ForOperator, "the register does not take this kind of message from this organisation: have FHI admit the organisation number, and compare it with parent in the configuration"},
	{2002, "MissingOrganizationNumberClaimFromHelseIdToken", ForOperator, "the token names no organisation: the HelseID client has to be issued to the organisation number, or give parent in the configuration when it is a supplier's"},
	{2003, "MissingSignatureClaimFromHelseIdToken", ForOperator, "the token lacks a claim that the register wants: have the HelseID client granted the register's API in self-service"},
	{2004, "BadSignatureClaimFromHelseIdToken", ForOperator, "a claim of the token has another form than the register wants: compare the HelseID client with FHI's guide"},
	{2005, "HelseIdSignatureDoesNotMatchHeaderValues", ForOperator, "the token's claim does not fit the request: the key of the configuration is not the one that the HelseID client has"},
	{2006, "SchemaNotFound", ForOperator, "the register has no schema for the message type and version: ask FHI which it takes, and write it under types in the configuration"},
	{2007, "InvalidJsonMessage", ForOperator, "the register takes JSON for this message type, and the message is something else: ask FHI how this kind of message is sent"},
	{2008, "SchemaValidationFailed", ForVendor, "the message does not fit the register's schema: flette submit show tells what it quoted; report it to the vendor"},
	{2009, "PayloadSizeLimitExceeded", ForVendor, "the message is larger than the 15 MB that the register takes: make smaller messages"},
	{2010, "StorageError", ForRegister, "the register could not store the message: send it again later"},
}

// Explanations lists what is known, by code.
func Explanations() []Explanation { return slices.Clone(explanations) }

// Explain says what to do about an answer, one sentence a fault.
func Explain(status int, faults []Fault) []string {
	var out []string
	for _, f := range faults {
		if e := explanationOf(f); e != nil {
			out = append(out, fmt.Sprintf("%s (code %d)", e.Text, f.Code))
			continue
		}
		out = append(out, fmt.Sprintf("the register gave a code that is not in its published table: %d %s; ask FHI", f.Code, f.Name))
	}
	switch { // statuses of RFC 9110 and RFC 6585
	case len(out) > 0:
	case status == 401:
		out = append(out, "the register did not take the token or its proof: look at the clock of this machine, and at the HelseID client's access to the register's API; then send the same again")
	case status == 403:
		out = append(out, "the register knows the client and does not let it in: have FHI admit the organisation number")
	case status == 429:
		out = append(out, "the register had too much to do: send the same again later")
	case status/100 == 4:
		out = append(out, fmt.Sprintf("the register refused with status %d and did not say why: compare the address in the configuration with FHI's guide", status))
	}
	return out
}

func explanationOf(f Fault) *Explanation {
	var byCode *Explanation
	for i := range explanations {
		e := &explanations[i]
		if f.Name != "" && e.Name == f.Name {
			return e
		}
		if e.Code == f.Code {
			byCode = e
		}
	}
	// A known code under a name that is not of the table (or under none).
	return byCode
}
