"""What koukan decides, pure: frames in, frames out; no path, clock, log, network, environment."""
