package main

import (
	"fmt"
	"net"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	host      = "127.0.0.1"
	namespace = "bench"
	theOne    = "active" // the name of the only cluster
)

// startOnDisk starts what Temporal's test server is, but for its database: db is a
// file that is flushed before a transaction is over.
func startOnDisk(db string) (address string, err error) {
	ports, err := freePorts(2 * len(temporal.DefaultServices))
	if err != nil {
		return "", err
	}
	c := serverConfig(db, ports)
	if err := createDatabase(c.Persistence.DataStores[sqlite.PluginName].SQL); err != nil {
		return "", err
	}
	server, err := temporal.NewServer(temporal.WithConfig(c), temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(log.NewNoopLogger()), temporal.WithDynamicConfigClient(unthrottled()))
	if err != nil {
		return "", err
	}
	return c.PublicClient.HostPort + "/" + namespace, server.Start()
}

func createDatabase(c *config.SQL) error {
	if err := schema.SetupSchema(c); err != nil {
		return err
	}
	n, err := schema.NewNamespaceConfig(theOne, namespace, false, nil)
	if err != nil {
		return err
	}
	return schema.CreateNamespaces(c, n)
}

// serverConfig is a server with one shard on SQLite, and without metrics, archives
// and other clusters. Each service takes two of the ports, the frontend the first.
func serverConfig(db string, ports []int) *config.Config {
	frontend := fmt.Sprintf("%s:%d", host, ports[0])
	c := &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: host}},
		Persistence: config.Persistence{
			DefaultStore: sqlite.PluginName, VisibilityStore: sqlite.PluginName, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{sqlite.PluginName: {SQL: &config.SQL{
				PluginName: sqlite.PluginName, DatabaseName: db,
				ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "WAL", "synchronous": "FULL"},
			}}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: theOne, CurrentClusterName: theOne,
			ClusterInformation: map[string]cluster.ClusterInformation{theOne: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival:            config.Archival{History: config.HistoryArchival{State: "disabled"}, Visibility: config.VisibilityArchival{State: "disabled"}},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History: config.HistoryArchivalNamespaceDefaults{State: "disabled"}, Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"}}},
		PublicClient: config.PublicClient{HostPort: frontend},
		Services:     map[string]config.Service{},
	}
	for i, name := range []string{"frontend", "history", "matching", "worker"} {
		c.Services[name] = config.Service{RPC: config.RPC{GRPCPort: ports[2*i], MembershipPort: ports[2*i+1], BindOnLocalHost: true}}
	}
	return c
}

// freePorts are n ports that nobody listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
