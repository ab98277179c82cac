package acceptance_test

import (
	"testing"

	"gitlab.com/review-executor/review-executor/internal/acceptance"
)

// asking is a host that asks a GitLab and a name server, and serves with TLS, before doctor is
// asked. Its time daemon sets GitLab's clock right, because this host's is the machine's.
const asking = bare + theToken + goodCertificate + `
sed -i 's/review.localhost/review.example.org/' /etc/review-executor/config.toml
cat >> /etc/review-executor/config.toml <<'END'

[gitlab]
url = "http://127.0.0.1:8929"
token_file = "/etc/review-executor/gitlab-token"

[apache]
listen = "*:8443"
tls_certificate = "/etc/ssl/certs/review.pem"
tls_key = "/etc/ssl/private/review.key"
END
printf '[Service]\nExecStart=/bin/sh -c "rm -f /run/outside/ahead; exec sleep infinity"\n[Install]\nWantedBy=multi-user.target\n' > /etc/systemd/system/time.service
mkdir -p /etc/systemd/ntp-units.d && echo time.service > /etc/systemd/ntp-units.d/10-time.list
systemctl daemon-reload
systemctl try-restart systemd-timedated.service
# Debian's Apache wants the port of the GitLab at https, too.
rm /run/outside/outside.key && systemctl restart outside.service
`

// made makes a certificate.
func made(options string) string {
	return "openssl req -x509 -newkey rsa:2048 -nodes " + options + " -keyout /etc/ssl/private/review.key -out /etc/ssl/certs/review.pem 2>/dev/null"
}

const goodCertificate = "\nopenssl req -x509 -newkey rsa:2048 -nodes -days 90 " + names + " -keyout /etc/ssl/private/review.key -out /etc/ssl/certs/review.pem 2>/dev/null\n"

const names = "-subj /CN=review.example.org -addext subjectAltName=DNS:review.example.org,DNS:*.review.example.org"

// TestDoctor_MendsWhatIsAsked breaks what a host asks of others, and what ends with time.
func TestDoctor_MendsWhatIsAsked(t *testing.T) {
	h := acceptance.Start(t)
	withOutside(t, h)
	h.Program(t)
	mended(t, h, doctor(t, h, asking))
	for _, broken := range []struct {
		brokenHost
		hand string // what the commands that doctor prints leave to somebody
	}{
		{brokenHost{"the certificate has expired", made("-not_before 20250101000000Z -not_after 20250201000000Z " + names), "certificate", "has expired on 2025-02-01"}, goodCertificate},
		{brokenHost{"the certificate expires soon", made("-days 5 " + names), "certificate", "expires in "}, goodCertificate},
		{brokenHost{"the certificate is another's", made("-days 90 -subj /CN=example.org -addext subjectAltName=DNS:example.org"), "certificate", "not for *.review.example.org"}, goodCertificate},
		{brokenHost{"the key is another's", "openssl genrsa -out /etc/ssl/private/review.key 2048 2>/dev/null", "certificate", "are no pair"}, goodCertificate},
		{brokenHost{"no name is found", "rm /run/outside/address", "dns", "names under review.example.org are not found"}, "echo 127.0.0.1 > /run/outside/address"},
		{brokenHost{"names lead elsewhere", "echo 192.0.2.7 > /run/outside/address", "dns", "lead to 192.0.2.7"}, "echo 127.0.0.1 > /run/outside/address"},
		{brokenHost{"a token that reads alone", "echo read_api > /run/outside/scopes", "gitlab", "only the scope read_api"}, "rm /run/outside/scopes; echo glpat-a-token-for-tests | THEN"},
		{brokenHost{"a token for nothing", "echo read_user > /run/outside/scopes", "gitlab", "needs read_api"}, "rm /run/outside/scopes; echo glpat-a-token-for-tests | THEN"},
		{brokenHost{"a token that ends", "date -d '3 days' +%F > /run/outside/expires", "gitlab", "the token expires on"}, "rm /run/outside/expires; echo glpat-a-token-for-tests | THEN"},
		{brokenHost{"a token that GitLab does not know", "echo another > /etc/review-executor/gitlab-token", "gitlab", "answered 401"}, "echo glpat-a-token-for-tests | THEN"},
		{brokenHost{"a token that is lost", "rm /etc/review-executor/gitlab-token", "gitlab", "gitlab-token"}, "echo glpat-a-token-for-tests | THEN"},
		{brokenHost{"a clock that is behind", "timedatectl set-ntp false; echo 1h > /run/outside/ahead", "clock", "behind GitLab's"}, ""},
	} {
		t.Run(broken.name, func(t *testing.T) { broken.mend(t, h, broken.hand) })
	}
}
