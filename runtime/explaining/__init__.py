"""`--explain`, `loaf doctor` and a part of `/props`: what a launch does on this machine, and why.

report → the structure                     machine → what it has, as far as loaf looks at it
launch → what is decided for each model     sentences → the report, for people

Refuses to decide anything: what it tells is what the modules say that decide. Imported only by who asks.
"""
