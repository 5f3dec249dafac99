def test_look(toy_image, toy_text, squares, headlines, eager, own_cache):
    import time
    from headstart.features.extract import Extractor
    for b,d in ((toy_image,squares),(toy_text,headlines)):
        print([s.name for s in b.stages], b.width, b.end, [s.name for s in b.middle()], len(d), d.targets[0].name)
        e=Extractor(b,'x',cache=None); t=time.time()
        for c in range(b.end+1):
            v=e.extract(d,c); print(c,{k:(tuple(x.shape),x.dtype) for k,x in v.items()}, round(time.time()-t,2))
