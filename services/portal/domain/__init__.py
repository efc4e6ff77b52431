"""The portal's decisions, as functions: who may see what, how long sessions last, how a case and a plot look."""
