// Package jsonfile joins the two libraries that contrib's otlpjsonfile receiver consists of: fileconsumer, which finds
// and follows files, and plog's JSON decoder. It has the settings of that receiver that the tests use. Not every module
// proxy has that receiver's own module.
package jsonfile

import (
	"context"
	"errors"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/adapter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
)

// Config is the configuration of fileconsumer, and the storage extension that keeps the offsets.
type Config struct {
	fileconsumer.Config `mapstructure:",squash"`
	StorageID           *component.ID `mapstructure:"storage"`
}

type lines struct {
	*fileconsumer.Manager
	id      component.ID
	storage *component.ID
}

func (l *lines) Start(ctx context.Context, host component.Host) error {
	client, err := adapter.GetStorageClient(ctx, host, l.storage, l.id)
	if err != nil {
		return err
	}
	return l.Manager.Start(client)
}

func (l *lines) Shutdown(context.Context) error {
	return l.Stop()
}

// NewFactory returns the factory of the receiver, which the builder's main calls.
func NewFactory() receiver.Factory {
	defaults := func() component.Config { return &Config{Config: *fileconsumer.NewConfig()} }
	return receiver.NewFactory(component.MustNewType("jsonfile"), defaults,
		receiver.WithLogs(create, component.StabilityLevelDevelopment))
}

func create(_ context.Context, set receiver.Settings, config component.Config, next consumer.Logs) (receiver.Logs, error) {
	settings := config.(*Config)
	emit := func(ctx context.Context, bodies [][]byte, _ map[string]any, _ int64, _ []int64) error {
		var failed error
		for _, body := range bodies {
			logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(body)
			if err == nil {
				err = next.ConsumeLogs(ctx, logs)
			}
			failed = errors.Join(failed, err)
		}
		return failed
	}
	manager, err := settings.Build(set.TelemetrySettings, emit)
	return &lines{manager, set.ID, settings.StorageID}, err
}
