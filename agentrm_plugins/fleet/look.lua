-- What a namespace looks like, for `agentrm doctor`: it changes nothing, and nobody joins.
-- KEYS as of sync.lua. ARGV: 1 how many members at most.
local S, M, X, E = KEYS[1], KEYS[2], KEYS[3], KEYS[7]
local call, max, min = redis.call, math.max, math.min
local raw = call('HGET', S, 'd')
local f = raw and cmsgpack.unpack(raw) or {used = {}, limits = {}}
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + (f.ahead or 0)
local due, peers, shares, pool = call('ZRANGE', X, 0, tonumber(ARGV[1]) - 1, 'WITHSCORES'), {}, {}, {}
for i = 1, #due, 2 do
  local packed = call('HGET', M, due[i])
  if packed then
    local m = cmsgpack.unpack(packed)
    peers[#peers + 1] = {due[i], m.held.l or 0, #m.heads, max(0, tonumber(due[i + 1]) - now), m.held, m.ttl or 0}
    for name in pairs(m.hand) do shares[name] = 1 end
  end
end
for name in pairs(shares) do
  local packed = call('HGET', E, name)
  local s = packed and cmsgpack.unpack(packed)
  if s then
    for r, rate in pairs(s.told.rate) do
      local room = s.told.cap[r] - (s.out[r] or 0)
      s.level[r] = min((s.level[r] or 0) + rate * max(0, now - s.at) / 1000, room)
    end
    shares[name] = {level = s.level, out = s.out, used = f.used['c:' .. name] or 0,
      closed = max(0, s.closed - now), told = s.told}
  else
    shares[name] = nil
  end
end
for key, told in pairs(f.limits) do
  local least
  for t in pairs(told) do least = min(least or tonumber(t), tonumber(t)) end
  pool[key] = {f.used[key] or 0, least or 0}
end
return cjson.encode({members = call('HLEN', M), peers = peers, pool = pool, shares = shares})
