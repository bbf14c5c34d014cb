"""Where a model computes, here and on other machines.

placing   on which devices, with how many layers        worker   this machine, computing for another one (`--worker`)

Puts together what `backends/` knows of the machine and what the engine knows of weights. Refuses to know how a model is
loaded.
"""
