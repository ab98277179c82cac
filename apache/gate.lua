-- Written by review-executor. Changes are overwritten.
--
-- Remembers for some minutes who has given the right password, in the memory of one process of Apache's. Without it, bcrypt,
-- which is slow on purpose, would be asked with each request of a client that keeps no cookies.

local lifetime = 300 -- seconds

-- key is what is remembered by, and the name of the user; nil if this is no login.
local function key(r)
    local sent = r.headers_in["Authorization"]
    if not sent or #sent > 1000 then
        return nil
    end
    local login = sent:match("^[Bb]asic ([%w+/]+=*)$")
    if login then
        return "review-executor " .. r.server_name .. " " .. r:sha1(login), login
    end
end

local function remembered(r, k)
    local till = r:ivm_get(k)
    return till and till > os.time()
end

-- known runs before Apache asks for a password. It does not if there is a user already.
function known(r)
    local k, login = key(r)
    if k and remembered(r, k) then
        r.user = r:base64_decode(login):match("^([^:]*):")
    end
    return apache2.DECLINED
end

-- remember runs when a password was looked at, and right; not for who has passed without.
function remember(r)
    if r.user and r.user ~= "" then
        local k = key(r)
        if k and not remembered(r, k) then
            r:ivm_set(k, os.time() + lifetime)
        end
    end
    return apache2.DECLINED
end
