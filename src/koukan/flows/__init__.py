"""The documented flows, one module each: rules put together into what a flow must do."""
