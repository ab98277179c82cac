package pages_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"gitlab.com/review-executor/review-executor/pages"
	"gitlab.com/review-executor/review-executor/review"
)

func TestMetrics(t *testing.T) {
	o := three()
	hostile := "quote\" back\\slash line\nfeed } # {é\u202e" + "\xff"
	o.Apps[0].Project = hostile
	h := newHost(t)
	h.write(o)
	text, err := os.ReadFile(h.metrics)
	if err != nil {
		t.Fatal(err)
	}
	got := samples(t, string(text))
	want := map[string]float64{
		`review_executor_apps{state=deploying}`: 1,
		`review_executor_apps{state=failed}`:    0,
		`review_executor_apps{state=live}`:      2,
		`review_executor_apps{state=stopping}`:  0,
		`review_executor_app_info{app=login-form,project=` + strings.ToValidUTF8(hostile, "?") + `,state=live}`: 1,
		`review_executor_app_info{app=main,project=group/shop,state=live}`:                                      1,
		`review_executor_app_info{app=search,project=web/site,state=deploying}`:                                 1,
		`review_executor_app_deployed_timestamp_seconds{app=login-form}`:                                        float64(o.Apps[0].Live.Deployed.Unix()),
		`review_executor_app_deployed_timestamp_seconds{app=main}`:                                              float64(o.Apps[1].Live.Deployed.Unix()),
		`review_executor_app_expires_timestamp_seconds{app=login-form}`:                                         float64(o.Apps[0].Expires.Unix()),
		`review_executor_deploys_failed{}`:                                                                      1,
		`review_executor_ended_apps{}`:                                                                          2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestMetrics_OfNoAppsAreValid(t *testing.T) {
	h := newHost(t)
	h.write(review.Overview{})
	text, err := os.ReadFile(h.metrics)
	if err != nil {
		t.Fatal(err)
	}
	if got := samples(t, string(text)); len(got) != 6 {
		t.Errorf("without apps there are %v", got)
	}
}

func TestMetrics_AreNotWrittenUnlessWanted(t *testing.T) {
	h := newHost(t)
	h.Pages = pages.New(h.dir, domain, "")
	h.write(three())
	if h.has("../review.prom") {
		t.Error("there are metrics")
	}
}

// samples are what Prometheus's own parser reads.
func samples(t *testing.T, text string) map[string]float64 {
	t.Helper()
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	all := map[string]float64{}
	for name, family := range families {
		if family.GetHelp() == "" || family.GetType().String() != "GAUGE" {
			t.Errorf("%s has help %q and type %s", name, family.GetHelp(), family.GetType())
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			all[name+"{"+strings.Join(labels, ",")+"}"] = metric.GetGauge().GetValue()
		}
	}
	return all
}
