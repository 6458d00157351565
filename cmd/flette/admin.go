package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"flette/api"
)

// adminOp is an op of any input and output.
type adminOp interface {
	opName() string
	handle(ctx context.Context, a *app, body io.Reader) ([]byte, error)
}

// adminOps are all operations that a running server does for the command line.
var adminOps = []adminOp{
	tenantAddOp, tenantListOp, tenantContactsOp, userTokenOp,
	personCheckOp, personEnterOp, personImportOp, personListOp, unitImportOp, unitListOp,
	referenceImportOp, referenceShowOp,
	mappingImportOp, mappingListOp, hoursReportOp,
	recordCheckOp, recordEnterOp, worklistOp, worklistConfirmOp,
	caseloadChangeOp, caseloadShowOp, caseloadPlanOp,
	deviceInviteOp, deviceListOp, deviceExplainOp, deviceRevokeOp,
	reviewListOp, findingListOp, findingSettleOp, quarantineListOp, quarantineSettleOp,
	blockOp, glassListOp, glassFollowUpOp,
	extractRunOp, extractListOp, extractResendOp, extractPreviewOp,
	extractYearlyOp, clearFolderOp, exportWriteOp, exportListOp,
	findingCountOp, reportOp,
	submitPrepareOp, submitSendOp, submitStatusOp, submitShowOp, submitFeedbackOp, submitForgetOp, submitPackageOp,
	verifyOp,
	backupCopyOp,
}

func (o op[In, Out]) opName() string { return o.name }

var errOtherVersion = problemf("other-version", "the running server does not understand this command; it is another version of flette, restart it")

func (o op[In, Out]) handle(ctx context.Context, a *app, r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxOpBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxOpBytes {
		return nil, problemf("too-large", "the command is larger than %d MiB", maxOpBytes>>20)
	}
	var in In
	if err := json.Unmarshal(body, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, errOtherVersion
	}
	out, err := o.run(ctx, a, in)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// adminServer answers the command line on DIR/admin.sock. Who may connect could read and
// write the data folder anyway, so the socket asks for nothing but the same user.
type adminServer struct {
	http *http.Server
	done chan struct{}
}

var errServerRuns = problemf("server-runs", "a server runs on this data folder already")

func startAdmin(a *app, served *api.Server) (*adminServer, error) {
	path := socketPath(a.dir)
	running, err := serverRuns(a.dir)
	if err != nil {
		return nil, err
	}
	if running {
		return nil, errServerRuns
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, problemf("socket", "the socket %s cannot be made (a name has room for about 100 characters): %v", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	mux := http.NewServeMux()
	for _, o := range adminOps {
		mux.HandleFunc("POST /op/"+o.opName(), func(w http.ResponseWriter, r *http.Request) { answerOp(w, r, a, o) })
	}
	mux.HandleFunc("GET /metrics", a.serveMetrics(served))
	s := &adminServer{
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn)},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(sameUser{ln, a.log}); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("admin socket stopped", "error", err.Error())
		}
	}()
	return s, nil
}

// stop lets running operations finish until ctx is done.
func (s *adminServer) stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

func answerOp(w http.ResponseWriter, r *http.Request, a *app, o adminOp) {
	ctx, end := sendProgress(r.Context(), w)
	answer, err := o.handle(ctx, a, r.Body)
	end()
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		a.log.Info("admin", "op", o.opName())
		_, _ = w.Write(answer) // the caller is gone: nothing to tell
		return
	}
	p := problemOf(err)
	a.log.Info("admin", "op", o.opName(), "code", p.Code)
	text, err := json.Marshal(p)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusUnprocessableEntity)
	_, _ = w.Write(text)
}

// sameUser accepts connections of processes of the same user, and of root.
type sameUser struct {
	net.Listener
	log *slog.Logger
}

func (l sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, known := peerUID(c)
		if !known || uid == 0 || uid == os.Getuid() {
			return c, nil
		}
		l.log.Warn("admin socket refused another user", "uid", uid)
		_ = c.Close()
	}
}
