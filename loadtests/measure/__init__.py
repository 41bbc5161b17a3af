"""What a run measured: latencies, the server's metrics during it, the machine it ran on."""
