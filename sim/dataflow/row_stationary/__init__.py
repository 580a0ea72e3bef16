"""Row stationary, the dataflow of the chip: passes as programs, and real words in their order.

>>> from sim.run import prepare
>>> [plan] = prepare("lenet5", layers=["C3"], mapping="m=16,n=1,e=10,p=8,q=2,r=1,t=2").plans
>>> str(plan.mapping), len(plan.classes)
('m=16,n=1,e=10,p=8,q=2,r=1,t=2', 2)
"""
