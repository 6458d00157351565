package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/api/auth"
)

// issuerFile is one identity provider of --oidc-config.
type issuerFile struct {
	Issuer      string            `json:"issuer"`
	Audience    string            `json:"audience"`
	Algorithms  []string          `json:"algorithms"`
	JWKSURL     string            `json:"jwks_url"`
	JWKSFile    string            `json:"jwks_file"` // beside the configuration, when it is no absolute path
	RolesClaim  string            `json:"roles_claim"`
	TenantClaim string            `json:"tenant_claim"`
	HPRClaim    string            `json:"hpr_claim"`
	Require     map[string]string `json:"require"`
}

// readIssuers reads the identity providers. Every mistake stops the start: a provider that is
// left out by a misspelt member would show as nurses who cannot log in.
func readIssuers(path string) ([]auth.IssuerConfig, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, problemf("oidc-config", "--oidc-config cannot be read: %v", err)
	}
	var list []issuerFile
	if err := json.Unmarshal(raw, &list, json.RejectUnknownMembers(true)); err != nil {
		return nil, problemf("oidc-config", "--oidc-config is not a JSON array of issuers: %v", err)
	}
	var out []auth.IssuerConfig
	for _, f := range list {
		c := auth.IssuerConfig{
			Issuer: f.Issuer, Audience: f.Audience, Algorithms: f.Algorithms, JWKSURL: f.JWKSURL,
			RolesClaim: f.RolesClaim, TenantClaim: f.TenantClaim, HPRClaim: f.HPRClaim, Require: f.Require,
		}
		if strings.HasPrefix(f.Issuer, ownIssuer("")) {
			return nil, problemf("oidc-config", "--oidc-config: names that begin with %s are the server's own", ownIssuer(""))
		}
		if f.JWKSFile != "" {
			if c.JWKS, err = readBeside(path, f.JWKSFile); err != nil {
				return nil, problemf("oidc-config", "--oidc-config: the keys of %s cannot be read: %v", f.Issuer, err)
			}
		}
		out = append(out, c)
	}
	// The verifier checks the rest; asked here, so that no store is opened for a mistake.
	if _, err := auth.NewVerifier(out); err != nil {
		return nil, problemf("oidc-config", "--oidc-config: %v", err)
	}
	return out, nil
}

func readBeside(config, name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(config), name)
	}
	body, err := os.ReadFile(name)
	if err == nil && len(body) == 0 {
		err = errors.New("the file is empty")
	}
	return body, err
}
