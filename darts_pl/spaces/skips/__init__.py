"""What later methods do to skip connections: an auxiliary one on every edge, dropout behind them."""
